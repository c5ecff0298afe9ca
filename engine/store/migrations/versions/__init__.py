"""One module a revision, oldest first; `engine.store.schema.REVISIONS` lists them."""
