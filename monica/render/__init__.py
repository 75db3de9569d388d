"""A book made on many machines: studios make its phrases, and one driver puts each into a bundle, once.

Ray keeps the studios' processes, and nothing else: monica/render/cluster.py alone knows it.
"""
