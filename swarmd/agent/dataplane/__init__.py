"""What connects the tasks of a node: their networks, names, virtual addresses, published ports.

`probe` finds out what this machine allows, `needs` what a task asks for, `plane` brings it about.
"""
