"""`window:`: frames in a window on this machine, several sources side by side.

Import `window` to run one, `display` to find out whether there is a screen.
"""
