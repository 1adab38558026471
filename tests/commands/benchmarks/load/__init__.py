"""A class opens the teacher's link: `make load N=100`. Streamlit's own protocol and the files of a real browser."""
