"""JSON Schemas, generated: `python -m ansible_env.schemas` writes them anew; a test keeps them fresh."""
