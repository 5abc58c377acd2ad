"""The replicated log: Raft on pysyncobj made safe, with a journal and transport of our own."""
