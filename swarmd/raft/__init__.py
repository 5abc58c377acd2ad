"""The replicated log: Raft on pysyncobj made safe, with its own journal, transport and snapshots."""
