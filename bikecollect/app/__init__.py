"""The data app: Streamlit pages that draw the results of reports."""
