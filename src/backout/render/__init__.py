"""Values to text: reports, schemas, pages. Pure; `rich` is imported only by the modules that draw."""
