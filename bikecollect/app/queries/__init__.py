"""The queries of the data app to the history, independent of Streamlit."""
