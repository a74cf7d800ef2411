"""Lets every Python process of the image import what `requirements.txt` names, behind all that the image has."""

import os
import site

if folder := os.environ.get("API_PACKAGES"):
    site.addsitedir(folder)
