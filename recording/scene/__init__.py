"""What a picture of a step shows and where: decided once, for film, sheet, terminal and page."""
