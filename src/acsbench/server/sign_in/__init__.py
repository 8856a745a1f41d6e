"""How people sign in: providers, passwords, second factors, links of the operator."""

__all__: list[str] = []
