"""Work on the planes of a frame: scaling, geometry, drawing masks and text, stills.

Everything works in place on I420 planes. Import any module; none of them knows of processes.
"""
