"""What HubSpot's endpoints do: CRM objects, account information, OAuth; access and limits."""
