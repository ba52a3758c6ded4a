"""What people look at: HTML pages that load nothing, charts as SVG, and pictures of faces and losses."""
