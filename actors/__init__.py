"""The actors of Troupe and what they know: contracts, records, migrations and the business rules."""
