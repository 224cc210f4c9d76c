"""What tests of several packages share: captures to read, a server to talk to."""
