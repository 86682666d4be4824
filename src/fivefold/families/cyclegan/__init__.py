"""Two generators that translate images between two domains, of which no two images need belong together."""
