"""The server, and the page that opens first: choose a city, see what it holds, go to a question.

``streamlit run app.py`` imports this file as a module for the server, and runs it as a script
whenever someone looks at the start page.
"""

import streamlit as st

from pages.shared.serving import page_routes, warm_server

if __name__ == "__main__":
    from pages.shared.start import draw_start

    draw_start()
else:
    app = st.App(__file__, routes=page_routes(), lifespan=warm_server)
