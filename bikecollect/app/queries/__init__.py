"""What the data app asks the history; knows no Streamlit."""
