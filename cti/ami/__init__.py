"""AMI: the protocol, the client, the tracker that makes Facts of it, and the PBX port over it."""
