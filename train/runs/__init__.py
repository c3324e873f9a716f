"""What a training run leaves behind: its folder, its engine and the card that describes it.

Imported by the commands; it imports the loop and the yolact family.
"""
