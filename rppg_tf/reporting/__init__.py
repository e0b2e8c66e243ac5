"""What a run is shown with: charts, figures and the page."""
