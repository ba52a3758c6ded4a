"""What people look at: HTML pages made from templates, charts as SVG, grids of faces, and plots of losses."""
