"""The pages in somebody's hands: the keyboard alone, a phone, a picture in little room, what is taken away.

What one page does is tested beside it; here is what all pages owe those who use them.
"""
