"""Faults under load, `make stress`: thousands of connections that call and get pushes, while things break.

A real `isomor serve`, a real redis-server, and load clients in processes of their own. What is broken, what must hold,
and what the figures mean is told in docs/stress.md.

    system.py     the service and its Redis: settings, processes, what the system says of them
    load.py       a process of load clients: opens, calls, publishes, keeps the books; told what to do on stdin
    client.py     one connection of it
    books.py      the books: what became of each call, and what each subscriber has got of its topic
    loads.py      load processes as the run sees them
    faults.py     what is broken, and when it counts as healed
    run.py        the order of things, and what must hold at the end
    report.py     what is printed
"""
