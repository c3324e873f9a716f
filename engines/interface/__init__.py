"""What goes into an engine and comes out of it: frames, their fit into the input, instances.

Also the contract that every runtime fulfils (`backend`). Everything here may be imported from
anywhere.
"""
