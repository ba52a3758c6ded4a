// Opened from the disk, the page may not load its scripts; then it says what it needs. This script is in the page itself.
if (location.protocol === "file:") document.getElementById("as-file").hidden = false;
