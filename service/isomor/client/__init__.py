"""The generated, typed client: Python types to TypeScript, and the packages that a front end imports."""
