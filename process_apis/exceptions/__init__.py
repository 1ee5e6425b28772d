"""What stands in the way of a run: findings with owner and remedy, due dates, assignments, remedies people supply."""
