"""Where the first labels at a new place count most: which images to label next, and what so many labels bring. No torch."""
