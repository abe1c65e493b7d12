"""What joins data, model and evaluation into training and testing.

Nothing is imported here, so that tools without torch can use `engine.errors`.
"""
