"""What can be made of a recording; free of numpy, so that `--help` is quick."""

MAKES = {
    "video": "an MP4 of each episode",
    "gif": "a GIF of each episode",
    "sheet": "a PNG of a dozen moments of each episode",
    "gallery": "a PNG of what each episode looked at most and least",
    "page": "one HTML page of all, to play, scrub and click",
    "npz": "all numbers as one file for numpy",
}
"""What can be made of a recording."""
USUAL = ("video", "sheet", "page")
"""What is made where nobody says."""
