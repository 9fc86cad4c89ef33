"""f: networks. Every public class here can be named in a recipe."""
