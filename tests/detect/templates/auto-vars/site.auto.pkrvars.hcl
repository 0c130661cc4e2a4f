release = "12.14.0"
