"""The pure core: what a lab session is and how it moves. No I/O, no clock, no chance, no await.

`machine.decide` is the only place where anything is decided; the other modules are the values it works on.
"""
