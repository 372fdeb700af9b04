"""The viewer: stored runs as web pages, served from this machine.

Pages are made on the server from the database (`pages/`, `templates/`), drawings are SVG within them, and one small script
adds keys and live refresh, so that there is nothing to build and nothing to fetch from elsewhere. Starlette and uvicorn
serve them: they are small, typed and kept by one team, and the pages need routes and threads, not a framework. Nothing here
writes; what a page shows is read in short transactions, a page at a time.
"""
