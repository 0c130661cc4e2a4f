"""The frozen values that cross a stage; one module per noun."""
