"""Who answers whom: agents, queues, offers and wrap-up, decided by one pure machine."""
