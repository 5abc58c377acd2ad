"""Networks of tasks: what each node must know of them, and the kernel objects they are made of."""
