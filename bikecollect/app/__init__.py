"""The data app: Streamlit pages that draw what reports and archive give."""
