"""Copy versions from one destination to another; what is visible there is always whole."""
