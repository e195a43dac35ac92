"""Voice of the customer: the contact, during and after the call, and its history."""
