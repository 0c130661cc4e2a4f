"""The index and latest: how readers find versions, and how a publication makes itself found."""
