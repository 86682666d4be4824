"""Networks that tell a record from few numbers, and so learn what it is made of."""
