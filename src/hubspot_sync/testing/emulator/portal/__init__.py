"""What is in an account: object types, properties, records, associations, and searches of them."""
