"""What people write instead: a day's CSV, read with pandas, a chart and a map."""

import os

import pandas as pd
import streamlit as st

table = pd.read_csv(os.environ["PLAIN_CSV"], dtype={"station_id": str})
st.title("Bikes")
ids = st.multiselect("Stations", table["station_id"].unique(), ["990000100"])
some = table[table["station_id"].isin(ids)]
st.line_chart(some, x="slot", y="num_vehicles_available")
st.dataframe(table[table["slot"] == table["slot"].max()])
