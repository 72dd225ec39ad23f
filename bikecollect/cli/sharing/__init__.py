"""Static pages of a city for any web space: a map film, week, rankings, coverage."""
