"""What every API document of the house must say: rules as data with their checks; documents enter, no tier does."""
