"""Several methods, several seeds, equal budgets: which is better, and how sure is that?"""
