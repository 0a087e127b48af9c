"""A fleet on one machine: real agents in processes of their own, and a ledger of what they said."""
